# The service and the command line: `docker build -t vast-tams:0.1.0 .`; docs/DEPLOYMENT.md says how to run it.
# The version of scripts/bun, which CI runs. Debian, because DuckDB's native library needs glibc and libstdc++.
ARG BUN_VERSION=1.4.5

FROM oven/bun:${BUN_VERSION}-slim AS dependencies
WORKDIR /app
COPY package.json bun.lock ./
RUN bun install --frozen-lockfile --production

FROM oven/bun:${BUN_VERSION}-slim
WORKDIR /app
COPY --from=dependencies /app/node_modules ./node_modules
# tsconfig.json: Bun reads it when it runs TypeScript.
COPY package.json tsconfig.json LICENSE ./
COPY analytics ./analytics
COPY api ./api
COPY src ./src
# 1000 is the user `bun` of the base image; a number, so that Kubernetes can see that it is not root.
RUN ln -s /app/src/cli/tams.ts /usr/local/bin/tams && mkdir /data && chown 1000:1000 /data

# Beyond loopback the service does not start before somebody has credentials (docs/SECURITY.md).
ENV NODE_ENV=production HOST=0.0.0.0 PORT=8000 TAMS_DATA_DIR=/data
USER 1000:1000
VOLUME /data
EXPOSE 8000
STOPSIGNAL SIGTERM
# Not /health/ready: what restarts unhealthy containers should not do so because a bucket is away.
HEALTHCHECK --interval=15s --timeout=5s --start-period=120s --retries=4 \
  CMD ["bun", "-e", "fetch(`http://127.0.0.1:${process.env.PORT}/health/live`).then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["bun", "run", "/app/src/cli/tams.ts"]
CMD ["serve"]
