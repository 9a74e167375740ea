using Krewe.Abstractions;
using Krewe.KvStore.Disk;

namespace Krewe.Workers;

/// <summary>An arena in device memory that files may be read into past the host (GPUDirect Storage).</summary>
internal interface IDirectKvArena : IKvArena
{
    /// <summary>A block as such memory; null where there is no such way.</summary>
    IDirectMemory? DirectMemoryOf(BlockId block);

    /// <summary>A read failed for reasons of the way: from now on there is none.</summary>
    void GiveUpDirect();
}
