namespace Krewe.EmbeddedOrleans;

/// <summary>Who finds an activation: the catalog, or a pool of stateless workers.</summary>
internal interface IActivationOwner
{
    /// <summary>The activation has ended. Called under its gate's lock: takes no other gate's lock but a
    /// successor's.</summary>
    /// <param name="waiting">Calls it never started, oldest first; they now belong to the owner.</param>
    void OnEnded(Activation activation, IReadOnlyList<GrainCall> waiting);
}
