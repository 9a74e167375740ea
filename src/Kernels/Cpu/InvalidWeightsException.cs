namespace Krewe.Kernels;

/// <summary>Weights that no kernel can compute with; the checkpoint is broken.</summary>
public sealed class InvalidWeightsException(string message) : ArithmeticException(message);
