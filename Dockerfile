# Ampsync as a container image; docs/docker.md has how to build and run it.
ARG NODE_IMAGE=docker.io/library/node:24.21.0-bookworm-slim

# The bundle is JavaScript and the same for every architecture, so it is built on the builder's own.
FROM --platform=$BUILDPLATFORM ${NODE_IMAGE} AS build
WORKDIR /src
COPY package.json package-lock.json ./
# No package needs its install script for the build.
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY . .
RUN node scripts/build.mjs && node scripts/sbom.mjs
# Everything that the image has beyond its base, at its place.
RUN mkdir -p /image/app /image/etc /image/home/ampsync /image/usr/local/bin \
    && cp -R dist/main.js dist/chunks dist/LICENSES.txt dist/sbom.cdx.json LICENSE /image/app/ \
    && ln -s /app/main.js /image/usr/local/bin/ampsync \
    && useradd --uid 1001 --user-group --no-create-home --home-dir /home/ampsync --shell /usr/sbin/nologin ampsync \
    && cp /etc/passwd /etc/group /image/etc/

# No RUN here: another architecture is built without emulation.
FROM ${NODE_IMAGE}
ARG VERSION=0.1.0
ARG REVISION=unknown
ARG CREATED=unknown
ARG NODE_IMAGE
LABEL org.opencontainers.image.title="ampsync" \
      org.opencontainers.image.description="Streams the tables of a Nozzle / Amp dataset over Arrow Flight into PostgreSQL" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}" \
      org.opencontainers.image.base.name="${NODE_IMAGE}"
COPY --from=build /image/ /
# The health check needs the port.
ENV HEALTH_PORT=8080 NODE_ENV=production
WORKDIR /home/ampsync
USER 1001:1001
EXPOSE 8080
HEALTHCHECK --interval=30s --timeout=10s --start-period=30s CMD ["node", "/app/main.js", "health"]
# Node is process 1 and handles SIGTERM itself.
ENTRYPOINT ["node", "/app/main.js"]
