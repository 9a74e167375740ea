using System.Buffers;

namespace Krewe.Workers;

/// <summary>What <see cref="VectoredSocket"/> does, over TLS: many small pieces travel as few records.</summary>
internal static class SecuredStream
{
    /// <summary>Four records of the largest size.</summary>
    private const int GatheredBytes = 64 << 10;

    /// <summary>Sends all parts, in order.</summary>
    public static async ValueTask SendAllAsync(
        this Stream stream, IReadOnlyList<Memory<byte>> parts, CancellationToken cancellationToken)
    {
        var buffer = ArrayPool<byte>.Shared.Rent(GatheredBytes);
        try
        {
            var filled = 0;
            for (var at = new PartCursor(parts).Past(0); !at.IsAtEnd;)
            {
                var count = Math.Min(at.Current.Length, GatheredBytes - filled);
                at.Current.Span[..count].CopyTo(buffer.AsSpan(filled));
                filled += count;
                at = at.Past(count);
                if (filled < GatheredBytes && !at.IsAtEnd) continue;
                await stream.WriteAsync(buffer.AsMemory(0, filled), cancellationToken);
                filled = 0;
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    /// <summary>As <see cref="VectoredSocket.FillAsync"/>.</summary>
    public static async ValueTask<bool> FillAsync(
        this Stream stream, IReadOnlyList<Memory<byte>> parts, Action<PartCursor, int>? arrived,
        CancellationToken cancellationToken)
    {
        for (var at = new PartCursor(parts).Past(0); !at.IsAtEnd;)
        {
            var moved = await stream.ReadAsync(at.Current, cancellationToken);
            if (moved == 0 && at.IsAtStart) return false;
            if (moved == 0) throw new IOException("The data link closed in the middle of a frame.");
            arrived?.Invoke(at, moved);
            at = at.Past(moved);
        }

        return true;
    }
}
