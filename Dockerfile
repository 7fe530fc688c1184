# One image, three entries:
#   docker run … fhir-billing            the desk and the HTTP edge (api)
#   docker run … fhir-billing worker     relay, consumers, timers
#   docker run … fhir-billing migrate    bring the store to the newest schema, then end
# Settings come from the environment: docs/deploy.md. /app/mappings may be replaced by a read-only mount.

FROM python:3.11-slim-bookworm AS build
WORKDIR /app
COPY requirements requirements
RUN python -m venv /app/.venv \
 && /app/.venv/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements/build.txt \
 && /app/.venv/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes --no-build-isolation \
      -r requirements/run.txt
COPY pyproject.toml README.md LICENSE ./
COPY tools tools
COPY fhir_billing fhir_billing
COPY smart_app smart_app
COPY mappings mappings
RUN /app/.venv/bin/pip install --no-cache-dir --disable-pip-version-check --no-deps --no-build-isolation -e . \
 && /app/.venv/bin/python -m tools.assets \
 && rm -rf .cache tools

FROM python:3.11-slim-bookworm
RUN useradd --system --uid 10001 --create-home --home-dir /var/lib/fhir-billing billing
COPY --from=build --chown=root:root /app /app
WORKDIR /app
USER billing
ENV PATH=/app/.venv/bin:$PATH PYTHONUNBUFFERED=1
EXPOSE 8000
HEALTHCHECK --interval=15s --timeout=5s --start-period=20s \
  CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/health', timeout=4)"]
ENTRYPOINT ["fhir-billing"]
CMD ["serve", "--host", "0.0.0.0", "--port", "8000"]
