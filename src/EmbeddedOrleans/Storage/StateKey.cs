using Orleans.Runtime;

namespace Krewe.EmbeddedOrleans;

/// <summary>Names one stored record.</summary>
internal readonly record struct StateKey(GrainId Grain, string StateName, string StorageName)
{
    /// <summary>Where a [PersistentState] without a storage name goes, as in Orleans.</summary>
    public const string DefaultStorage = "Default";

    public override string ToString() => $"state '{StateName}' of {Grain} in storage '{StorageName}'";
}
