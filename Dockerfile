# The command line over all services, as an image: `docker run --env DATABASE_URL … migrate status`.
# With `--build-arg SERVICE=chat`, over this service alone: without `serve`, unless `--build-arg FEATURES=migration-cli/serve` asks
# for it. In all of them the program is called `migrate`.
FROM rust:1.95-slim-trixie AS build
ARG SERVICE=""
ARG FEATURES=""
WORKDIR /workspace
COPY . .
# What was compiled once is in the caches, dependencies above all.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/workspace/target \
    package="${SERVICE:+$SERVICE-migration}" \
 && cargo build --locked --release --package "${package:-xtask}" --bin "${package:-migrate}" --features "$FEATURES" \
 && cp "target/release/${package:-migrate}" /usr/local/bin/migrate

FROM debian:trixie-slim
# The client programs are for `psql` and backups. TLS is compiled in, with Mozilla's root certificates; `?sslrootcert=` names others.
# A pinned version of theirs would be gone from the archive with the next one.
# hadolint ignore=DL3008
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
