namespace Orleans.Runtime;

/// <summary>Whatever a reference can point to: a grain or an observer.</summary>
public interface IAddressable;
