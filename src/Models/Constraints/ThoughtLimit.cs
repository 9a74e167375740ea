namespace Krewe.Models;

/// <summary>
/// How long a model may think: behind so many tokens nothing may follow but the tag that ends its thought. Beside what
/// the output must look like, if that is anything.
/// </summary>
/// <param name="Opening">The tag before a thought; counts at the output's start alone. Not empty.</param>
/// <param name="Closing">The tag behind it. Not empty.</param>
/// <param name="IsOpen">The prompt has opened it: the output begins within the thought. Else there may be none.</param>
/// <param name="TokensMax">Tokens between the tags, 0 or more.</param>
public sealed record ThoughtLimit(string Opening, string Closing, bool IsOpen, int TokensMax)
{
    /// <summary>What else ends a thought, because the output's form goes on from there: a call. Null: nothing.
    /// </summary>
    public string? Call { get; init; }
}
