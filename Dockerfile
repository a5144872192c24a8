# kiln serve in a container:
#
#   docker build -t kiln .
#   openssl rand -hex 32 > kiln-token
#   docker run -p 127.0.0.1:8080:8080 -v kiln-data:/data -v "$PWD/kiln-token:/run/secrets/kiln-token:ro" kiln
#
# Inside a container it must listen on all addresses, and kiln does that only with a token.

FROM rust:1.95-bookworm AS build
WORKDIR /kiln
COPY . .
# The tests and benches that Cargo.toml names are not sent to the builder; cargo wants to see that they exist.
RUN sed -n '/^\[\[\(test\|bench\)\]\]/,/^$/ s/^path = "\(.*\)"/\1/p' Cargo.toml \
    | while read -r file; do mkdir -p "$(dirname "$file")" && touch "$file"; done
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/kiln/target \
    cargo build --release --locked --bin kiln && install -D target/release/kiln /out/kiln && install -d /out/data

FROM debian:bookworm-slim
COPY --from=build /out/kiln /usr/local/bin/kiln
# Whom to trust when a registry is asked for a module (--allow-registry).
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
# A user of its own, without a home and without a shell.
COPY --from=build --chown=65532:65532 /out/data /data
COPY LICENSE /usr/share/doc/kiln/LICENSE
USER 65532:65532
VOLUME /data
EXPOSE 8080
# SIGTERM stops pods, then closes the store; a second one means now.
STOPSIGNAL SIGTERM
ENTRYPOINT ["kiln"]
CMD ["serve", "--listen", "0.0.0.0:8080", "--data-dir", "/data", "--token-file", "/run/secrets/kiln-token"]
