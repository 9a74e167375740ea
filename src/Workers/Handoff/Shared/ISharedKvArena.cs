namespace Krewe.Workers;

/// <summary>An arena whose bytes other processes of the host can map.</summary>
internal interface ISharedKvArena : IKvArena
{
    /// <summary>Null when the arena is this process's own.</summary>
    SharedMemory? Shared { get; }
}
