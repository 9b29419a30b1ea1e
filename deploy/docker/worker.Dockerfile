# The worker. Models are mounted at /models, read-only.
#   docker build -f deploy/docker/build.Dockerfile -t banyan-build . && \
#   docker build -f deploy/docker/worker.Dockerfile -t banyan-worker:0.1.0 .
FROM debian:bookworm-slim
COPY deploy/docker/install_runtime.sh /tmp/
RUN /tmp/install_runtime.sh worker && rm /tmp/install_runtime.sh
COPY --from=banyan-build /src/build/release/worker/service/banyan-worker /usr/local/bin/
USER 65532:65532
EXPOSE 7080 7180 7280
ENTRYPOINT ["banyan-worker"]
