# Gateway and grains on Microsoft Orleans. From the repository's root:
#   docker build -f docker/silo.Dockerfile -t krewe-silo:0.1.0 .
FROM mcr.microsoft.com/dotnet/sdk:10.0-noble AS build
WORKDIR /src
COPY . .
# Compiled ahead: a worker is there a fifth sooner, for a quarter less processor time.
RUN dotnet publish src/Cli -c Release -p:GrainRuntime=Orleans -p:UseAppHost=false -p:PublishReadyToRun=true \
    --use-current-runtime --no-self-contained -o /app

# No shell and no package manager.
FROM mcr.microsoft.com/dotnet/aspnet:10.0-noble-chiseled
WORKDIR /app
COPY --from=build /app .
COPY models/tiny models/tiny
# The root file system is read only: what .NET wants to write goes to /tmp, or is off.
ENV DOTNET_EnableDiagnostics=0 TMPDIR=/tmp
USER 10001:10001
EXPOSE 8080 7070 11111
ENTRYPOINT ["dotnet", "/app/krewe.dll"]
CMD ["silo", "--host", "0.0.0.0"]
