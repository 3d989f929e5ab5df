# One image; which program it is, is the command's choice:
#   python manage.py prepare                               migrate and load the shipped Schemas, once before the others
#   (nothing)                                              the API
#   python manage.py run_controller                        the controller
#   python -m orchestrator_api.standalone --host 0.0.0.0   all of it, with the local engine; pods need user namespaces
FROM python:3.12-slim

ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1 DATA_DIR=/data
WORKDIR /app
COPY requirements.txt requirements-sample.txt constraints.txt ./
RUN pip install --disable-pip-version-check -r requirements.txt -r requirements-sample.txt -c constraints.txt \
    && useradd --system --uid 10001 --create-home orchestrator \
    && install -d -o orchestrator -g orchestrator -m 0700 /data
COPY manage.py ./
COPY orchestrator_api orchestrator_api
COPY engines engines
COPY executions executions
COPY federated federated
COPY registry registry
COPY runs runs
COPY runtime runtime
COPY schemas schemas
COPY templates templates
COPY web web

USER orchestrator
VOLUME /data
EXPOSE 8900
HEALTHCHECK --start-period=30s CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8900/health/live', timeout=5)"]
CMD ["gunicorn", "--config", "python:orchestrator_api.gunicorn_conf"]
