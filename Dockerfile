# The command line over all services, as an image: `docker run --env DATABASE_URL … migrate status`.
FROM rust:1-slim-trixie AS build
WORKDIR /workspace
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/workspace/target \
    cargo build --locked --release --package xtask --bin migrate \
 && cp target/release/migrate /usr/local/bin/migrate

FROM debian:trixie-slim
# The client programs are for `psql`. TLS is compiled in, with Mozilla's root certificates; `?sslrootcert=` names others.
RUN apt-get update \
 && apt-get install --yes --no-install-recommends postgresql-client \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin migrate
COPY --from=build /usr/local/bin/migrate /usr/local/bin/migrate
USER 10001
# A container without an address has nothing to migrate.
ENV MIGRATE_EMBEDDED=never
ENTRYPOINT ["migrate"]
CMD ["up"]
