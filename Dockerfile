# One image for everything; the first argument of a container chooses the program (deploy/image/orchestrator lists them):
#   docker build -t REGISTRY/orchestrator:0.1.0 .
# Workflows name some programs as images of their own, which are the same image with a fixed program:
#   docker build --target processor-resource-manager -t REGISTRY/processor-resource-manager:2.0.0 .
#   docker build --target federated-learning-manager -t REGISTRY/federated-learning-manager:2.0.0 .
#   docker build --target sample-ai-engine -t REGISTRY/sample-ai-engine:1.0.0 .
# BASE has Python with pip and venv; constraints.txt is what 3.11 was tested with. The digest is that of all platforms, as
# the official images' record (docker-library/repo-info, repos/python/remote) has it; `make image-digest` asks the
# registry for the tag's present one.
ARG BASE=docker.io/library/python:3.11.16-slim@sha256:8203f8b7cc03e7a0b2da2a7bfebdb7e39d985983791e2aba5b01cc535bf36f53

FROM ${BASE} AS build
WORKDIR /app
COPY requirements.lock /tmp/
# Only files with the hashes in the lock file, and no source archives.
RUN python -m venv --without-pip /opt/venv \
    && python -m pip --python /opt/venv/bin/python install --disable-pip-version-check --no-cache-dir \
        --require-hashes --only-binary :all: -r /tmp/requirements.lock
COPY manage.py ./
COPY orchestrator_api orchestrator_api
COPY engines engines
COPY executions executions
COPY federated federated
COPY policy policy
COPY registry registry
COPY runs runs
COPY runtime runtime
COPY schemas schemas
COPY templates templates
COPY web web
# Compiled here, once: nothing is written where the programs run.
RUN python -m compileall -q --invalidation-mode unchecked-hash /app

FROM ${BASE} AS programs
RUN groupadd --gid 10001 orchestrator \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin orchestrator \
    && install -d -o 10001 -g 10001 -m 0700 /data \
    && install -d -o 10001 -g 0 -m 0775 /usr/application
COPY --from=build /opt/venv /opt/venv
COPY --from=build /app /app
COPY deploy/image/orchestrator /usr/local/bin/orchestrator
ENV PATH=/opt/venv/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    PYTHONPATH=/app PYTHONSAFEPATH=1 PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 DATA_DIR=/data
# Manifests read the step runner's output files here.
WORKDIR /usr/application
USER 10001:10001
HEALTHCHECK --interval=15s --timeout=10s --start-period=60s CMD ["/usr/local/bin/orchestrator", "health"]

FROM programs AS processor-resource-manager
ENTRYPOINT ["/usr/local/bin/orchestrator", "step-runner"]

FROM programs AS federated-learning-manager
ENTRYPOINT ["/usr/local/bin/orchestrator", "federated-manager"]

FROM programs AS sample-ai-engine
ENTRYPOINT ["/usr/local/bin/orchestrator", "sample-ai-engine"]

# A build without --target makes the last stage.
FROM programs AS orchestrator
VOLUME /data
EXPOSE 8900
ENTRYPOINT ["/usr/local/bin/orchestrator"]
CMD ["api"]
