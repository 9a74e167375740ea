using Orleans.Core;

namespace Orleans.Runtime;

/// <summary>A grain's state: injected by <see cref="PersistentStateAttribute"/>, read before activation.</summary>
public interface IPersistentState<TState> : IStorage<TState>;

/// <summary>Asks for a stored state in a grain's constructor.</summary>
[AttributeUsage(AttributeTargets.Parameter)]
public class PersistentStateAttribute(string stateName, string? storageName = null) : Attribute
{
    public string StateName { get; } = stateName;

    public string? StorageName { get; } = storageName;
}
