using System.Collections.Immutable;

namespace Krewe.Models;

/// <summary>How a model writes calls of functions.</summary>
public enum ToolStyle
{
    /// <summary>A JSON object with name and arguments between &lt;tool_call&gt; tags: Hermes and Qwen.</summary>
    Tagged,

    /// <summary>A JSON object with name and parameters, instead of any other text: Llama 3.</summary>
    Bare,
}

/// <summary>One function that a model may call.</summary>
/// <param name="Name">Letters, digits, _ and -.</param>
/// <param name="Schema">JSON Schema of the arguments; null = any object.</param>
public sealed record ToolFunction(string Name, string? Schema);

/// <summary>Which functions may, or must, be called.</summary>
/// <param name="Functions">At least one.</param>
/// <param name="Style">How a call is written.</param>
/// <param name="MayAnswer">A text may be written instead of a call, or before the first.</param>
/// <param name="MayCallSeveral">More than one call may be written.</param>
/// <param name="Answer">What that text must look like; null = anything.</param>
public sealed record ToolSpec(
    ImmutableArray<ToolFunction> Functions, ToolStyle Style, bool MayAnswer, bool MayCallSeveral,
    ConstraintSpec? Answer);
