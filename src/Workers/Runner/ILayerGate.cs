namespace Krewe.Workers;

/// <summary>What a runner asks before each layer, so that KV arrives layer by layer just ahead of its use.</summary>
public interface ILayerGate
{
    /// <summary>
    /// Returns when the layer's K and V of every block of the step are in the arena, or never will be: a failed restore
    /// does not throw, since its rows are computed again. Cheap once the layer is there. One thread of the runner at a
    /// time calls it, layers in order.
    /// </summary>
    void WaitForLayer(int layer);
}
