# syntax=docker/dockerfile:1
#   docker build --build-arg REVISION=$(git rev-parse HEAD) -t vpn-operator .
# What is built is fixed by Cargo.lock. Pin both base images by digest where an image has to come out the same byte for byte.
FROM rust:1-bookworm AS build
WORKDIR /source
COPY . .
RUN cargo build --release --locked --bin vpn-operator \
 && strip --strip-debug target/release/vpn-operator

# Not `scratch`: the TLS clients refuse to start without a bundle of certificate authorities.
# A new volume gets the owner that its folder has here.
FROM debian:bookworm-slim
RUN apt-get update \
 && apt-get install --no-install-recommends -y ca-certificates \
 && rm -rf /var/lib/apt/lists/* /var/log/* /var/cache/* \
 && groupadd --system --gid 65532 vpn-operator \
 && useradd --system --uid 65532 --gid 65532 --home-dir /data --shell /usr/sbin/nologin vpn-operator \
 && install -d -o 65532 -g 65532 -m 700 /data /node
COPY --from=build /source/target/release/vpn-operator /usr/local/bin/vpn-operator
USER 65532:65532
ENV DESIRED=folder:/vpn DATA_DIR=/data LISTEN_ADDR=0.0.0.0:8080 HYSTERIA_AUTH_LISTEN=0.0.0.0:8081 LOG_FORMAT=json
VOLUME ["/data"]
EXPOSE 8080 8081
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 CMD ["vpn-operator", "health"]
ENTRYPOINT ["vpn-operator"]
CMD ["run"]
ARG REVISION=unknown
ARG VERSION=0.1.0
LABEL org.opencontainers.image.title="vpn-operator" \
      org.opencontainers.image.description="Corporate VPN access over Hysteria2 as a reconciled resource" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"
