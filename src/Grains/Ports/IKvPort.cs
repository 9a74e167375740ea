using Krewe.Abstractions;

namespace Krewe.Grains;

/// <summary>How a KV block grain reaches workers. The silo implements it on its links.</summary>
public interface IKvPort
{
    /// <summary>
    /// Tells the worker to keep its copies of the block below the device for so long, or no longer when
    /// <paramref name="life"/> is zero. A worker without a link here is not told.
    /// </summary>
    /// <param name="hash">32 hexadecimal digits.</param>
    void Keep(WorkerIncarnation worker, string hash, TimeSpan life);
}
