# A worker that computes on NVIDIA GPUs. The driver comes from the node (NVIDIA's container runtime); the kernels are
# compiled for its GPU at the first start, by NVRTC of this image. From the repository's root:
#   docker build -f docker/worker-cuda.Dockerfile -t krewe-worker-cuda:0.1.0 .
FROM mcr.microsoft.com/dotnet/sdk:10.0-noble AS build
WORKDIR /src
COPY . .
# Compiled ahead: a worker is there a fifth sooner, for a quarter less processor time.
RUN dotnet publish src/Cli -c Release -p:GrainRuntime=Orleans -p:UseAppHost=false -p:PublishReadyToRun=true \
    --use-current-runtime --no-self-contained -o /app

FROM mcr.microsoft.com/dotnet/aspnet:10.0-noble AS dotnet

# "runtime" has NVRTC and cuBLASLt; "base" has neither.
FROM nvidia/cuda:12.6.3-runtime-ubuntu24.04
COPY --from=dotnet /usr/share/dotnet /usr/share/dotnet
WORKDIR /app
COPY --from=build /app .
COPY models/tiny models/tiny
ENV PATH=/usr/share/dotnet:$PATH DOTNET_ROOT=/usr/share/dotnet
ENV DOTNET_EnableDiagnostics=0 DOTNET_gcServer=0 TMPDIR=/tmp XDG_CACHE_HOME=/tmp/cache
ENV NVIDIA_DRIVER_CAPABILITIES=compute,utility
USER 10001:10001
EXPOSE 7071 9464
ENTRYPOINT ["dotnet", "/app/krewe.dll"]
CMD ["worker", "--help"]
