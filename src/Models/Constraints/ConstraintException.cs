namespace Krewe.Models;

/// <summary>
/// A constraint (schema, regular expression, grammar, list of tools) that cannot be used. The message says what to
/// change.
/// </summary>
/// <param name="message">Without the place.</param>
/// <param name="path">Where in the constraint: ".properties.name", "[2]"; "" = the whole.</param>
public sealed class ConstraintException(string message, string path = "") : Exception(message)
{
    public string Path { get; } = path;
}
