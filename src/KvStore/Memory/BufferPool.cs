using System.Threading.Channels;

namespace Krewe.KvStore.Memory;

/// <summary>
/// A fixed number of equal aligned buffers cut from one native region, so that the region is registered with the kernel
/// once. Its emptiness is the back-pressure: who finds no buffer waits, and memory stays bounded.
/// </summary>
internal sealed class BufferPool : IDisposable
{
    private readonly Channel<Memory<byte>> _free = Channel.CreateUnbounded<Memory<byte>>();
    private readonly int _count;

    public BufferPool(int count, int bufferBytes)
    {
        _count = count;
        Region = new NativeBuffer(checked(count * bufferBytes));
        for (var i = 0; i < count; i++) Return(Region.Memory.Slice(i * bufferBytes, bufferBytes));
    }

    /// <summary>The whole region, for registration.</summary>
    public NativeBuffer Region { get; }

    /// <summary>Buffers out at the moment.</summary>
    public int InUse => _count - _free.Reader.Count;

    public ValueTask<Memory<byte>> RentAsync(CancellationToken cancellationToken) =>
        _free.Reader.ReadAsync(cancellationToken);

    public void Return(Memory<byte> buffer) => _free.Writer.TryWrite(buffer);

    public void Dispose() => ((IDisposable)Region).Dispose();
}
