using Krewe.Abstractions;

namespace Krewe.Silo.Gateway.Requests;

/// <summary>How many answers a request wants to each prompt, and of how many they are the best.</summary>
internal static class ChoiceFields
{
    /// <summary>OpenAI's number.</summary>
    private const int ChoicesMax = 128;

    /// <summary>Sequences of one request. Each is as much work as a request of its own.</summary>
    private const int SequencesMax = 512;

    public static (int Choices, int Candidates) Read(RequestField root, bool stream, int prompts)
    {
        var choices = ReadCount(root, "n") ?? 1;
        var candidates = ReadCount(root, "best_of") ?? choices;
        if (candidates < choices) throw root.Required("best_of").Wrong($"at least 'n', which is {choices}");
        if (stream && candidates > choices)
        {
            throw new KreweException(
                ErrorCode.InvalidRequest,
                "'best_of' above 'n' cannot be streamed: which answers are the best shows when all are whole. Leave "
                + "'stream' or 'best_of' out.",
                "best_of");
        }

        if ((long)candidates * prompts > SequencesMax)
        {
            throw new KreweException(
                ErrorCode.InvalidRequest,
                $"{prompts} prompts with {candidates} answers each are {(long)candidates * prompts}; one request may "
                + $"have at most {SequencesMax}. Send several requests.",
                prompts > 1 ? "prompt" : "n");
        }

        return (choices, candidates);
    }

    private static int? ReadCount(RequestField root, string name)
    {
        if (root.Find(name) is not { } field) return null;
        var count = field.AsLong(1);
        return count <= ChoicesMax
            ? (int)count
            : throw new KreweException(
                ErrorCode.InvalidRequest, $"{name} must be at most {ChoicesMax}, got {count}.", name);
    }
}
