# The connector as an image for Airbyte; docs/image.md says how to build and add it.
ARG BASE=docker.io/airbyte/python-connector-base:4.1.1@sha256:a268b44c733ae699a60f5fbc06a324945dba98945c6e2ab7f8609f2f895b0d28

FROM ${BASE} AS build
ARG COMMIT=
USER root
WORKDIR /build
COPY pyproject.toml README.md LICENSE ./
COPY source_posthog source_posthog
RUN printf '%s' "$COMMIT" > source_posthog/COMMIT
RUN pip wheel --no-cache-dir --no-deps --wheel-dir wheels .

FROM ${BASE}
USER root
WORKDIR /airbyte/integration_code
COPY --from=build /build/wheels wheels
COPY main.py requirements.lock ./
RUN pip install --no-cache-dir --constraint requirements.lock wheels/*.whl
USER 1000:1000
ENV AIRBYTE_ENTRYPOINT="python /airbyte/integration_code/main.py"
ENTRYPOINT ["python", "/airbyte/integration_code/main.py"]
