FROM node:24.21.0-slim AS build
WORKDIR /build
COPY package.json package-lock.json ./
RUN npm ci
COPY tsconfig.json tsconfig.build.json ./
COPY src ./src
COPY scripts/bundle.ts scripts/write-bundle.ts ./scripts/
RUN npm run build

FROM node:24.21.0-slim
# A container begins with an empty cache folder, and would fill it for nobody.
ENV NODE_ENV=production \
    NODE_DISABLE_COMPILE_CACHE=1 \
    SCOPEGATE_CONFIG=/etc/scopegate/scopegate.yaml
WORKDIR /app
# The program has in it what it needs of libraries.
COPY --from=build /build/dist/cli ./dist/cli
COPY --from=build /build/dist/LICENSES.txt ./dist/
COPY package.json LICENSE ./
# A number, so that Kubernetes can see that it is not root.
USER 1000:1000
# Asks the admin listener; its address in the configuration must be port 9090 on all or on the loopback interface.
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s \
  CMD ["node", "-e", "fetch('http://127.0.0.1:9090/readyz').then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["node", "dist/cli/main.js"]
CMD ["serve"]
