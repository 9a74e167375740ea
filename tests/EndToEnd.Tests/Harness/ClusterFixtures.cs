using Xunit.Abstractions;

namespace Krewe.EndToEnd.Tests.Harness;

/// <summary>A cluster that the tests of one class share.</summary>
public abstract class ClusterFixture(params string[] arguments) : IAsyncLifetime
{
    private KreweCluster? _cluster;

    public KreweCluster Cluster => _cluster ?? throw new InvalidOperationException("The cluster was not started.");

    public async Task InitializeAsync() => _cluster = await KreweCluster.StartAsync(arguments);

    public virtual async Task DisposeAsync()
    {
        if (_cluster is not null) await _cluster.DisposeAsync();
    }
}

/// <summary>What <c>krewe serve</c> starts by itself: one prefill and one decode worker.</summary>
public sealed class SplitCluster() : ClusterFixture();

/// <summary>The same, with a keep-alive in nearly every gap of a stream.</summary>
public sealed class TalkativeCluster() : ClusterFixture("--stream-keep-alive", "0.001");

/// <summary>One prefill and one decode worker, and short patience with silent ones.</summary>
public sealed class NervousCluster() : ClusterFixture([.. Options])
{
    /// <summary>
    /// Workers are given up soon. Requests are not: a busy machine keeps a living worker silent for a second at times,
    /// and takes long to start another.
    /// </summary>
    internal static readonly string[] Options =
    [
        "--heartbeat", "0.1", "--silence-limit", "1", "--handoff-lease", "3", "--worker-wait", "120",
        "--max-attempts", "8",
    ];
}

/// <summary>One prefill and two decode workers, and short patience with silent ones.</summary>
public sealed class SpareDecodeCluster() : ClusterFixture([.. NervousCluster.Options, "--decode", "2"]);

/// <summary>A test on a shared cluster: what the cluster said stands beside a failure.</summary>
public abstract class ClusterTest(ClusterFixture fixture, ITestOutputHelper output) : IDisposable
{
    private readonly int _linesBefore = fixture.Cluster.Log.Split('\n').Length;

    protected KreweCluster Cluster { get; } = fixture.Cluster;

    protected ITestOutputHelper Output { get; } = output;

    public void Dispose()
    {
        Output.WriteLine(string.Join('\n', Cluster.Log.Split('\n').Skip(_linesBefore)));
        GC.SuppressFinalize(this);
    }
}
