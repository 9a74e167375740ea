using System.Globalization;
using Krewe.Abstractions;
using Orleans;

namespace Krewe.Cli;

/// <summary>One way of calling grains.</summary>
/// <param name="What">Which.</param>
/// <param name="CallsPerSecond">Of all callers together.</param>
/// <param name="P50Us">Microseconds that half of the calls took at most.</param>
/// <param name="P99Us">And 99 of 100.</param>
internal sealed record GrainFigures(string What, double CallsPerSecond, double P50Us, double P99Us);

/// <summary>
/// What a call of a grain costs on the host of this build: a lease is renewed, one turn with a record going in and one
/// coming out, as the control plane does for every request.
/// </summary>
internal sealed class GrainBench(IGrainFactory grains, TimeProvider time, int calls)
{
    private const int WarmCalls = 2000;
    private const int Grains = 64;

    /// <summary>Of the figures with one caller: enough to see a microsecond at the 99th percentile.</summary>
    private const int AloneGrains = 16;

    private static readonly TimeSpan LeaseLife = TimeSpan.FromMinutes(5);

    public async Task<IReadOnlyList<GrainFigures>> RunAsync(CancellationToken cancellationToken)
    {
        for (var i = 0; i < Grains; i++) await GrainOf(i).AttachAsync(WorkerOf(i), "bench");
        await Task.WhenAll(Enumerable.Range(0, Grains).Select(
            i => CallAsync(i, WarmCalls / Grains, cancellationToken)));

        // With several silos some of these grains are on this one and some on others: the nearest and the farthest.
        List<GrainFigures> alone = [];
        for (var i = 0; i < AloneGrains; i++)
            alone.Add(Figures("", await CallAsync(i, calls / AloneGrains, cancellationToken)));
        alone.Sort((one, other) => one.P50Us.CompareTo(other.P50Us));
        var begun = time.GetTimestamp();
        var together = await Task.WhenAll(Enumerable.Range(0, Grains).Select(
            i => Task.Run(() => CallAsync(i, calls / Grains, cancellationToken), cancellationToken)));
        var took = time.GetElapsedTime(begun);
        var all = Figures("64 callers, 64 grains", [.. together.SelectMany(each => each)]);
        return
        [
            alone[0] with { What = "1 caller, the nearest of 16 grains" },
            alone[^1] with { What = "1 caller, the farthest of 16 grains" },
            all with { CallsPerSecond = calls / Grains * Grains / took.TotalSeconds },
        ];
    }

    private async Task<double[]> CallAsync(int number, int count, CancellationToken cancellationToken)
    {
        var (grain, asked) = (GrainOf(number), Ask(number));
        var took = new double[count];
        for (var i = 0; i < count; i++)
        {
            cancellationToken.ThrowIfCancellationRequested();
            var begun = time.GetTimestamp();
            if (await grain.LeaseAsync(asked) is null)
                throw new InvalidOperationException("The grain gave no lease: what was measured is something else.");
            took[i] = time.GetElapsedTime(begun).TotalMicroseconds;
        }

        return took;
    }

    /// <summary>One caller after the other: calls a second are what the calls themselves take.</summary>
    private static GrainFigures Figures(string what, double[] tookUs)
    {
        Array.Sort(tookUs);
        return new GrainFigures(
            what, 1e6 * tookUs.Length / tookUs.Sum(), tookUs[tookUs.Length / 2], tookUs[tookUs.Length * 99 / 100]);
    }

    private IDecodeWorkerGrain GrainOf(int number) => grains.GetGrain<IDecodeWorkerGrain>(NameOf(number));

    private static LeaseRequest Ask(int number) => new()
    {
        Key = new SequenceKey($"request-{number}", 0, 1),
        Worker = WorkerOf(number),
        Silo = "bench",
        Blocks = 8,
        Life = LeaseLife,
    };

    private static string NameOf(int number) => string.Create(CultureInfo.InvariantCulture, $"bench-{number}");

    private static WorkerDescriptor WorkerOf(int number) => new()
    {
        Worker = new WorkerIncarnation(NameOf(number), 1),
        Role = WorkerRole.Decode,
        ModelName = "bench",
        ModelFingerprint = "bench",
        Numerics = "bench",
        DataHost = "127.0.0.1",
        DataPort = 1,
        TotalBlocks = 1024,
        BlockTokens = 16,
        MaxContextTokens = 4096,
        ProcessId = 1,
    };
}
