namespace Krewe.Workers;

/// <summary>Told how far a step has come, so that layers can leave while later ones are computed.</summary>
public interface ILayerObserver
{
    /// <summary>
    /// K and V of this layer are in the arena for every row of the step; nothing writes them again. One thread of the
    /// runner at a time calls it, layers in order. Takes no lock and allocates nothing.
    /// </summary>
    void LayerStored(int layer);
}
