using Krewe.KvStore.Devices;
using Krewe.KvStore.Disk;
using Krewe.KvStore.Memory;

namespace Krewe.KvStore.Sharing;

/// <summary>
/// The other parts of a shared directory: what the workers beside this one, living or dead, have spilled. Each worker
/// writes its own part only, so no lock is shared and a dead worker blocks nobody.
/// </summary>
public sealed class Neighbours : IAsyncDisposable
{
    private const int StagingBuffers = 16;

    private static readonly TimeSpan LookPause = TimeSpan.FromSeconds(1);

    private readonly SharedDirectory _directory;
    private readonly SsdObjectStore _own;
    private readonly IBlockDevice _device;
    private readonly TimeProvider _time;
    private readonly CancellationTokenSource _stopping = new();
    private readonly OperationGuard _guard = new(typeof(Neighbours));
    private readonly List<NeighbourPart> _retired = [];
    private volatile NeighbourPart[] _parts = [];
    private readonly Dictionary<int, NeighbourPart> _byNumber = [];
    private Task _looking = Task.CompletedTask;

    private Neighbours(SharedDirectory directory, SsdObjectStore own, IBlockDevice device, TimeProvider time)
    {
        (_directory, _own, _device, _time) = (directory, own, device, time);
        Buffers = new BufferPool(StagingBuffers, own.Layout.BodyBytes);
    }

    /// <summary>Objects that the neighbours hold, as far as is known.</summary>
    public int Objects => _parts.Sum(part => part.Objects);

    internal BufferPool Buffers { get; }

    /// <summary>Looks round once, and from then on once a second.</summary>
    internal static async ValueTask<Neighbours> OpenAsync(
        SharedDirectory directory, SsdObjectStore own, IBlockDevice device, TimeProvider time,
        CancellationToken cancellationToken)
    {
        var neighbours = new Neighbours(directory, own, device, time);
        await device.RegisterMemoryAsync(neighbours.Buffers.Region);
        await neighbours.LookAsync(cancellationToken);
        neighbours._looking = Task.Run(neighbours.LookRoundAsync, CancellationToken.None);
        return neighbours;
    }

    /// <summary>True when a neighbour says that it holds the key.</summary>
    public bool Contains(BlockKey key)
    {
        foreach (var part in _parts)
        {
            if (part.Find(key) is not null) return true;
        }

        return false;
    }

    /// <summary>The object where a neighbour says that it is; null when none does.</summary>
    public IBlockSource? TryOpen(BlockKey key)
    {
        foreach (var part in _parts)
        {
            if (part.Find(key) is { } slot) return new NeighbourObject(this, part, key, slot);
        }

        return null;
    }

    /// <summary>Waits for the reads under way.</summary>
    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync();
        await _looking.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await _guard.CloseAsync();
        foreach (var part in _parts.Concat(_retired)) await part.DisposeAsync();
        await _device.DisposeAsync();
        Buffers.Dispose();
        _stopping.Dispose();
    }

    /// <summary>One read, before all writes of this store and part of its measured bandwidth.</summary>
    internal async ValueTask ReadAsync(ISegmentFile file, long offset, Memory<byte> pages)
    {
        _guard.Enter();
        var moved = 0;
        _own.Gate.BeginReads(1);
        _own.Meter.Begin();
        try
        {
            await file.ReadAsync(offset, pages);
            moved = pages.Length;
        }
        finally
        {
            _own.Meter.End(moved);
            _own.Gate.EndReads(1);
            _guard.Leave();
        }
    }

    private async Task LookRoundAsync()
    {
        using var timer = new PeriodicTimer(LookPause, _time);
        while (await timer.WaitForNextTickAsync(_stopping.Token)) await LookAsync(_stopping.Token);
    }

    private async ValueTask LookAsync(CancellationToken cancellationToken)
    {
        foreach (var number in _directory.OtherParts())
        {
            if (_byNumber.TryGetValue(number, out var known))
            {
                known.Refresh();
                if (known.IsCurrent) continue;
                // A read of it may be under way: its files are closed at the end.
                _retired.Add(known);
                _byNumber.Remove(number);
            }

            var opened = await NeighbourPart.TryOpenAsync(
                _directory.PartDirectories(number), _device, _own.Layout, cancellationToken);
            if (opened is not null) _byNumber.Add(number, opened);
        }

        _parts = [.. _byNumber.Values];
    }
}
