using Orleans.Runtime;

namespace Krewe.EmbeddedOrleans;

/// <summary>What a call runs on: an activation or an observer.</summary>
internal interface ICallTarget
{
    GrainId TargetId { get; }

    object Instance { get; }

    /// <summary>The activation; null for an observer, whose calls pass no filter.</summary>
    Activation? Activation { get; }
}

/// <summary>Finds the target of a call and hands the call over.</summary>
internal interface ICallRouter
{
    /// <summary>Never throws for reasons of the target: those fail the call.</summary>
    void Route(GrainCall call);
}
