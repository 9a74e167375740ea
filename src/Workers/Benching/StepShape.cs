namespace Krewe.Workers;

/// <summary>How many rows one step has, and how many of them want logits: all that its products depend on.</summary>
public readonly record struct StepShape(int Rows, int LogitRows);
