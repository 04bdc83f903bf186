# One image for every role: migrate, worker, gateway. Kafka and PostgreSQL are not in it.

FROM python:3.11-slim AS wheel
WORKDIR /src
COPY requirements.build.lock ./
RUN pip install --no-cache-dir --require-hashes -r requirements.build.lock
COPY pyproject.toml README.md LICENSE ./
COPY schemas ./schemas
COPY monitoring ./monitoring
COPY engine ./engine
COPY streams ./streams
COPY connectors ./connectors
COPY sinks ./sinks
COPY gateway ./gateway
COPY dujiang ./dujiang
COPY migrations ./migrations
RUN python -m hatchling build -t wheel -d /wheel

FROM python:3.11-slim AS install
RUN python -m venv /opt/dujiang
COPY requirements.runtime.lock ./
RUN /opt/dujiang/bin/pip install --no-cache-dir --require-hashes -r requirements.runtime.lock
COPY --from=wheel /wheel /wheel
RUN /opt/dujiang/bin/pip install --no-cache-dir --no-deps /wheel/*.whl

FROM python:3.11-slim
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin dujiang \
 && install -d -o dujiang -g dujiang /var/lib/dujiang
COPY --from=install /opt/dujiang /opt/dujiang
ENV PATH=/opt/dujiang/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    DUJIANG_DATA_DIR=/var/lib/dujiang \
    DUJIANG_CACHE_DIR=/var/lib/dujiang/cache \
    DUJIANG_LOG_JSON=true
WORKDIR /var/lib/dujiang
USER 10001
# The worker's; a gateway asks its own port, `migrate` ends by itself (docker-compose.yml).
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=6 \
  CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8601/health/live', timeout=4)"]
ENTRYPOINT ["dujiang"]
CMD ["worker"]
