using System.Collections.Immutable;

namespace Krewe.Control.Cluster;

/// <summary>A place in a parallel configuration: replica, pipeline stage, tensor shard.</summary>
public readonly record struct Position(int Replica, int Stage, int Shard);

/// <summary>What a device has in its memory: the position it held, and its sequences' KV.</summary>
/// <param name="Device">Its name.</param>
/// <param name="Held">Null = a new device.</param>
/// <param name="KvBytes">KV of its replica's sequences.</param>
public sealed record HeldContext(string Device, Position? Held, long KvBytes);

/// <summary>One parallel configuration of a model.</summary>
/// <param name="Replicas">Copies of the model.</param>
/// <param name="Stages">Pipeline stages of a copy.</param>
/// <param name="Shards">Tensor shards of a stage.</param>
/// <param name="ModelBytes">Weights of one copy.</param>
public sealed record ParallelShape(int Replicas, int Stages, int Shards, long ModelBytes);

/// <summary>
/// SpotServe's device mapping (ASPLOS'24): after devices came or went, which device takes which position of the new
/// configuration, so that the most bytes of weights and KV stay where they are.
/// </summary>
public static class Remapping
{
    /// <summary>
    /// Every position's device. Throws <see cref="ArgumentException"/> when there are fewer devices than positions.
    /// </summary>
    public static ImmutableDictionary<Position, string> Map(
        IReadOnlyList<HeldContext> devices, ParallelShape from, ParallelShape to)
    {
        Position[] positions =
        [
            .. from replica in Enumerable.Range(0, to.Replicas)
               from stage in Enumerable.Range(0, to.Stages)
               from shard in Enumerable.Range(0, to.Shards)
               select new Position(replica, stage, shard),
        ];
        if (devices.Count < positions.Length)
        {
            throw new ArgumentException(
                $"{to.Replicas} x {to.Stages} x {to.Shards} positions need {positions.Length} devices; there are "
                + $"{devices.Count}.", nameof(devices));
        }

        var weights = new long[positions.Length, devices.Count];
        for (var i = 0; i < positions.Length; i++)
        {
            for (var j = 0; j < devices.Count; j++) weights[i, j] = ReusableBytes(devices[j], from, positions[i], to);
        }

        var assigned = Assignment.Maximise(weights);
        return positions.Select((position, i) => (position, devices[assigned[i]].Device))
            .ToImmutableDictionary(pair => pair.position, pair => pair.Device);
    }

    /// <summary>
    /// Bytes at the device that the position needs: the overlap of both parts of the model (stage x shard, as shares of
    /// the layers and of each layer), and as much of the KV when it goes on serving the same replica's sequences.
    /// </summary>
    public static long ReusableBytes(HeldContext device, ParallelShape from, Position wanted, ParallelShape to)
    {
        if (device.Held is not { } held) return 0;
        var layers = Overlap(held.Stage, from.Stages, wanted.Stage, to.Stages);
        var width = Overlap(held.Shard, from.Shards, wanted.Shard, to.Shards);
        var shared = layers * width;
        var kept = held.Replica == wanted.Replica ? shared * from.Stages * from.Shards * device.KvBytes : 0;
        return (long)((shared * to.ModelBytes) + kept);
    }

    /// <summary>Overlap of part i of n and part j of m of [0, 1).</summary>
    private static double Overlap(int i, int n, int j, int m) => Math.Max(
        0, Math.Min((i + 1.0) / n, (j + 1.0) / m) - Math.Max((double)i / n, (double)j / m));
}
