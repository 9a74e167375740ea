using Krewe.Abstractions;
using Microsoft.AspNetCore.Http;

namespace Krewe.Silo.Gateway.Admission;

/// <summary>
/// Bounds the memory that request bodies take together: they are read before anybody knows what they ask for. A body
/// counts as it arrives, until its request has been answered.
/// </summary>
internal sealed class BodyMemory
{
    private readonly long _bytesMax;
    private long _bytes;

    /// <param name="options">One body's limit; sixteen of the largest fit.</param>
    public BodyMemory(SiloOptions options) => _bytesMax = Math.Max(512L << 20, 16 * options.MaxRequestBytes);

    /// <summary>Bytes of all bodies now.</summary>
    public long Bytes => Volatile.Read(ref _bytes);

    /// <summary>The share of one request; it is given back when the request is over.</summary>
    public BodyShare Open(HttpContext context)
    {
        var share = new BodyShare(this);
        context.Response.RegisterForDispose(share);
        return share;
    }

    internal void Add(long bytes)
    {
        if (Interlocked.Add(ref _bytes, bytes) <= _bytesMax || bytes <= 0) return;
        Interlocked.Add(ref _bytes, -bytes);
        throw new KreweException(
            ErrorCode.Overloaded, "The bodies of the requests that are being read fill this silo; try again.")
        {
            RetryAfter = TimeSpan.FromSeconds(1),
        };
    }
}

/// <summary>What one request's body takes of <see cref="BodyMemory"/>.</summary>
internal sealed class BodyShare(BodyMemory memory) : IDisposable
{
    private long _bytes;

    /// <summary>Throws <see cref="KreweException"/> (Overloaded) when there is no room.</summary>
    public void Add(int bytes)
    {
        memory.Add(bytes);
        _bytes += bytes;
    }

    public void Dispose()
    {
        memory.Add(-_bytes);
        _bytes = 0;
    }
}
