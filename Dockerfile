# syntax=docker/dockerfile:1
FROM rust:1-bookworm AS build
WORKDIR /source
COPY . .
RUN cargo build --release --locked

# Not `scratch`: the TLS clients refuse to start without a bundle of certificate authorities.
FROM debian:bookworm-slim
RUN apt-get update \
 && apt-get install --no-install-recommends -y ca-certificates \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --system --uid 65532 --home-dir /data --create-home vpn-operator
COPY --from=build /source/target/release/vpn-operator /usr/local/bin/vpn-operator
USER 65532:65532
ENV DESIRED=folder:/vpn DATA_DIR=/data LISTEN_ADDR=0.0.0.0:8080 HYSTERIA_AUTH_LISTEN=0.0.0.0:8081 LOG_FORMAT=json
VOLUME ["/data"]
EXPOSE 8080 8081
ENTRYPOINT ["vpn-operator"]
CMD ["run"]
