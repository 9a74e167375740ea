using System.Runtime.InteropServices;

namespace Krewe.Kernels;

/// <summary>
/// Memory outside the garbage collector's reach: never moved, starts on a cache line, zeroed at birth. Kernels read
/// in pairs of vectors and drop what is too much: such a read behind the last element stays inside the allocation.
/// </summary>
public sealed unsafe class NativeArray<T> : IDisposable
    where T : unmanaged
{
    /// <summary>Two 512-bit vectors.</summary>
    public const int SlackBytes = 128;

    private const int CacheLineBytes = 64;

    private T* _data;

    public NativeArray(long length)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(length);
        var bytes = checked((nuint)(length * sizeof(T)) + SlackBytes);
        var huge = HugePages.AreWorthwhile(bytes);
        _data = (T*)NativeMemory.AlignedAlloc(bytes, (nuint)(huge ? HugePages.PageBytes : CacheLineBytes));
        Length = length;
        // Before the first touch, which is what decides the size of the pages.
        if (huge) HugePages.Advise(_data, bytes);
        NativeMemory.Clear(_data, bytes);
    }

    ~NativeArray() => Free();

    public long Length { get; }

    /// <exception cref="ObjectDisposedException">The memory was given back.</exception>
    public T* Data => _data is not null ? _data : throw new ObjectDisposedException(nameof(NativeArray<>));

    public void Dispose()
    {
        Free();
        GC.SuppressFinalize(this);
    }

    private void Free()
    {
        NativeMemory.AlignedFree(_data);
        _data = null;
    }
}
