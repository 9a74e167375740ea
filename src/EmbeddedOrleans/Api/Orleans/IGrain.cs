using Orleans.Runtime;

namespace Orleans;

/// <summary>Marks an interface whose implementations the host activates on demand.</summary>
public interface IGrain : IAddressable;

/// <summary>A grain found by a string key.</summary>
public interface IGrainWithStringKey : IGrain;

/// <summary>A callback interface: an ordinary object that grains can call through a reference.</summary>
public interface IGrainObserver : IAddressable;
