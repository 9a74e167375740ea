namespace Krewe.Workers;

/// <summary>Waits for several restores: a step may read blocks of each.</summary>
internal sealed class LayerGates(IReadOnlyList<ILayerGate> gates) : ILayerGate
{
    /// <inheritdoc/>
    public void WaitForLayer(int layer)
    {
        foreach (var gate in gates) gate.WaitForLayer(layer);
    }
}
