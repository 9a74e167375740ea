using Krewe.KvStore.Devices;
using Krewe.KvStore.Disk;
using Krewe.KvStore.Memory;

namespace Krewe.KvStore.Sharing;

/// <summary>
/// One object in a neighbour's part. Nothing holds it there: its owner may evict and overwrite it at any moment. So the
/// header is read first and every layer is checked against it: what was overwritten meanwhile is a miss, never a hit.
/// </summary>
internal sealed class NeighbourObject(
    Neighbours neighbours, NeighbourPart part, BlockKey key, int slot) : IBlockSource
{
    private readonly Lock _gate = new();
    private Task<uint[]?>? _checksums;

    public async ValueTask<ReadResult> ReadAsync(
        int firstLayer, int count, Memory<byte> destination, CancellationToken cancellationToken = default)
    {
        try
        {
            Task<uint[]?> header;
            lock (_gate) header = _checksums ??= ReadHeaderAsync(cancellationToken);
            if (await header is not { } checksums) return Miss();
            await ReadBodyAsync(firstLayer * part.Layout.LayerBytes, destination, cancellationToken);
            for (var i = 0; i < count; i++)
            {
                var layer = destination.Span.Slice(i * part.Layout.LayerBytes, part.Layout.LayerBytes);
                if (Abstractions.Crc32C.Compute(layer) != checksums[firstLayer + i]) return Miss();
            }

            return new ReadResult(ReadOutcome.Hit);
        }
        catch (BlockIoException)
        {
            return Miss();
        }
    }

    public void Dispose()
    {
        // Nothing holds a neighbour's object.
    }

    private ReadResult Miss()
    {
        part.Forget(key);
        return new ReadResult(ReadOutcome.Miss);
    }

    private async Task<uint[]?> ReadHeaderAsync(CancellationToken cancellationToken)
    {
        if (part.FileOf(slot, out var index) is not { } file) return null;
        var staging = await neighbours.Buffers.RentAsync(cancellationToken);
        try
        {
            var page = staging[..Page.Bytes];
            await neighbours.ReadAsync(file, SegmentLayout.HeaderOffset(index), page);
            var (segment, _) = part.Layout.Locate(slot);
            var isRight = ObjectHeader.Read(page.Span, out var header) == HeaderState.Valid && header.Key == key
                && part.Fits(header, segment, index);
            return isRight ? ObjectHeader.LayerChecksums(page.Span, part.Layout.Layers).ToArray() : null;
        }
        finally
        {
            neighbours.Buffers.Return(staging);
        }
    }

    private async ValueTask ReadBodyAsync(int start, Memory<byte> destination, CancellationToken cancellationToken)
    {
        var file = part.FileOf(slot, out var index)!;
        var body = part.Layout.BodyOffset(index);
        if (Page.IsAligned(start) && DirectMemory.IsUsable(destination))
        {
            await neighbours.ReadAsync(file, body + start, destination);
            return;
        }

        var firstPage = (int)Page.RoundDown(start);
        var pages = (int)Page.RoundUp(start + destination.Length) - firstPage;
        var staging = await neighbours.Buffers.RentAsync(cancellationToken);
        try
        {
            await neighbours.ReadAsync(file, body + firstPage, staging[..pages]);
            staging.Slice(start - firstPage, destination.Length).CopyTo(destination);
        }
        finally
        {
            neighbours.Buffers.Return(staging);
        }
    }
}
