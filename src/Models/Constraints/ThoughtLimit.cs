using System.Text.Json;

namespace Krewe.Models;

/// <summary>
/// How long a model may think, as it travels from the gateway to the workers: behind so many tokens nothing may follow
/// but the tag that ends its thought. Beside what the output must look like.
/// </summary>
/// <param name="Opening">The tag before a thought; counts at the output's start alone. Not empty.</param>
/// <param name="Closing">The tag behind it. Not empty.</param>
/// <param name="IsOpen">The prompt has opened it: the output begins within the thought. Else there may be none.</param>
/// <param name="TokensMax">Tokens between the tags, 0 or more.</param>
public sealed record ThoughtLimit(string Opening, string Closing, bool IsOpen, int TokensMax)
{
    /// <summary>What ends a thought too wherever it stands, because a call goes on from there. Null: nothing.</summary>
    public string? Call { get; init; }

    /// <summary>What a call begins with that takes the place of the thought. Null: nothing.</summary>
    public string? CallAtStart { get; init; }

    public string Write() => JsonSerializer.Serialize(this);

    /// <summary>Reads what <see cref="Write"/> wrote.</summary>
    /// <exception cref="FormatException">Another version wrote it.</exception>
    public static ThoughtLimit Parse(string text)
    {
        try
        {
            if (JsonSerializer.Deserialize<ThoughtLimit>(text) is { Opening.Length: > 0, Closing.Length: > 0 } limit)
                return limit;
        }
        catch (JsonException e)
        {
            throw new FormatException("It is not a limit of thoughts of this version.", e);
        }

        throw new FormatException("It is not a limit of thoughts of this version.");
    }
}
