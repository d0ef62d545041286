# The web image that the plugin guide's example names: any HTTP server with /healthz on port 8080 will do.
FROM vault-reconciler/whoami:latest
ENV PORT=8080
EXPOSE 8080
