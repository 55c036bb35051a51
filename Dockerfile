# The gateway as a container, built from this repository alone.
#
#   docker build -t gatehouse .
#   docker run -p 4433:4433/udp -v ./etc:/etc/gatehouse:ro -v gatehouse:/var/lib/gatehouse gatehouse
#
# /etc/gatehouse      gateway.toml, certificates, keys, policies; read only
# /var/lib/gatehouse  state, recordings, audit file, admin socket; give the
#                     recordings a file system of their own

FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
RUN cargo build --release --locked -p gateway -p client -p auditor --bins \
 && mkdir /out \
 && cp target/release/gatehouse-gateway target/release/gatehouse target/release/gatehouse-audit /out/ \
 && strip /out/*

FROM debian:bookworm-slim
RUN groupadd --system --gid 4433 gatehouse \
 && useradd --system --uid 4433 --gid 4433 --no-create-home --home-dir /var/lib/gatehouse --shell /usr/sbin/nologin gatehouse \
 && install -d -o gatehouse -g gatehouse -m 0700 /var/lib/gatehouse \
 && install -d /etc/gatehouse
COPY --from=build /out/ /usr/local/bin/
USER gatehouse
WORKDIR /var/lib/gatehouse
VOLUME ["/etc/gatehouse", "/var/lib/gatehouse"]
EXPOSE 4433/udp
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s --retries=3 \
    CMD ["gatehouse-gateway", "sessions", "list", "--socket", "/var/lib/gatehouse/admin.sock"]
ENTRYPOINT ["gatehouse-gateway"]
CMD ["run", "--config", "/etc/gatehouse/gateway.toml"]
