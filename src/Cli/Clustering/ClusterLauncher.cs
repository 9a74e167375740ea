using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Krewe.Abstractions;

namespace Krewe.Cli;

/// <summary>What a local cluster is made of.</summary>
/// <param name="Silos">How many.</param>
/// <param name="Workers">How many of each role.</param>
/// <param name="Port">The first gateway's; the others follow it.</param>
/// <param name="Redis">host:port of one that is there; null starts one.</param>
/// <param name="Model">Its folder.</param>
/// <param name="ServedName">What clients call it; null = the folder's name.</param>
/// <param name="Options">Of the cluster.</param>
internal sealed record ClusterShape(
    int Silos, WorkerSet Workers, int Port, string? Redis, string Model, string? ServedName, ClusterOptions Options);

/// <summary>Starts the processes of a local cluster, one after the other.</summary>
internal sealed class ClusterLauncher(LocalCluster cluster, ClusterShape shape)
{
    private readonly List<ClusterMember> _members = [];

    public IReadOnlyList<ClusterMember> Members => _members;

    /// <summary>Throws <see cref="KreweException"/> (InvalidOptions) that says how to get a Redis.</summary>
    public static string FindRedis() => DetachedProcess.Find("redis-server") ?? throw new KreweException(
        ErrorCode.InvalidOptions,
        "redis-server is not on PATH, and several silos meet in a Redis. Install it (Debian, Ubuntu: apt-get install "
        + "redis-server; macOS: brew install redis), or give one that runs with --redis HOST:PORT.");

    /// <param name="describe">The options of a worker, from what the cluster says of it.</param>
    public void Start(Func<WorkerOptions, int, WorkerOptions> describe)
    {
        var redis = shape.Redis ?? StartRedis();
        var links = Enumerable.Range(0, shape.Silos).Select(_ => FreePort()).ToArray();
        for (var i = 0; i < shape.Silos; i++) StartSilo(i, redis, links[i]);
        foreach (var (id, role) in shape.Workers.Members()) StartWorker(id, role, links, describe);
    }

    private string StartRedis()
    {
        var port = FreePort();
        // Written before it answers: a Redis that is killed and started again has what the silos believe it has.
        Start("redis", MemberKind.Redis, $"127.0.0.1:{port}",
        [
            FindRedis(), "--port", Text(port), "--bind", "127.0.0.1", "--dir", cluster.RedisFolder,
            "--appendonly", "yes", "--save", "", "--daemonize", "no",
        ]);
        return $"127.0.0.1:{port}";
    }

    private void StartSilo(int number, string redis, int linkPort)
    {
        List<string> arguments =
        [
            "silo", "--silo-id", $"silo-{number}", "--port", Text(shape.Port + number), "--link-port", Text(linkPort),
            "--silo-port", Text(FreePort()), "--redis", redis, "--cluster-id", $"local-{shape.Port}",
            "--model", shape.Model, .. ClusterSettings.ToArguments(shape.Options),
        ];
        if (shape.ServedName is { } name) arguments.AddRange(["--served-model-name", name]);
        StartOwn($"silo-{number}", MemberKind.Silo, $"http://127.0.0.1:{shape.Port + number}", arguments);
    }

    private void StartWorker(
        string id, WorkerRole role, int[] links, Func<WorkerOptions, int, WorkerOptions> describe)
    {
        var threads = Math.Max(1, Environment.ProcessorCount / shape.Workers.Count);
        var options = describe(
            new WorkerOptions
            {
                WorkerId = id,
                Role = role,
                ModelDirectory = shape.Model,
                ServedModelName = shape.ServedName,
                Silos = [.. links.Select(port => $"127.0.0.1:{port}")],
                BlockTokens = shape.Options.BlockTokens,
            },
            threads);
        StartOwn(id, MemberKind.Worker, null, WorkerArguments.From(options));
    }

    private void StartOwn(string name, MemberKind kind, string? address, IEnumerable<string> arguments)
    {
        var own = OwnProgram.With(arguments);
        Start(name, kind, address, [own.FileName, .. own.ArgumentList]);
    }

    private void Start(string name, MemberKind kind, string? address, IEnumerable<string> command)
    {
        _members.Add(DetachedProcess.Start(name, kind, address, cluster.LogOf(name), command));
        // At once: whatever happens next, "down" finds what was started.
        cluster.Write(_members);
    }

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }
}
