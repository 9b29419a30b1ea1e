# The router and the command line (the chart's drain hook and test use it).
#   docker build -f deploy/docker/build.Dockerfile -t banyan-build . && \
#   docker build -f deploy/docker/router.Dockerfile -t banyan-router:0.1.0 .
FROM debian:bookworm-slim
COPY deploy/docker/install_runtime.sh /tmp/
RUN /tmp/install_runtime.sh router && rm /tmp/install_runtime.sh
COPY --from=banyan-build /src/build/release/router/banyan-router /src/build/release/cli/banyan /usr/local/bin/
USER 65532:65532
EXPOSE 7070 7071 7073
ENTRYPOINT ["banyan-router"]
