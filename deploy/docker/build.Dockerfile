# The stage that both images copy from: a release build of everything but the tests.
#   docker build -f deploy/docker/build.Dockerfile -t banyan-build .
FROM debian:bookworm-slim
WORKDIR /src
COPY deploy/toolchain/install_packages.sh deploy/toolchain/
RUN deploy/toolchain/install_packages.sh build
COPY . .
RUN cmake --preset release -DBANYAN_TESTS=OFF -DBANYAN_BENCH=OFF && cmake --build build/release -j "$(nproc)" && \
    strip build/release/router/banyan-router build/release/worker/service/banyan-worker build/release/cli/banyan
