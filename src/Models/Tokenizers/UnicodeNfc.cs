using System.Buffers;
using System.Globalization;
using System.Text;

namespace Krewe.Models;

/// <summary>
/// Unicode normalization form C. The framework's own is not used: under InvariantGlobalization it returns text
/// unchanged, and its result elsewhere depends on the machine's ICU. Method: Unicode Standard Annex 15.
/// </summary>
internal static class UnicodeNfc
{
    // Hangul syllables are laid out arithmetically (Unicode Standard, section 3.12).
    private const int SyllableBase = 0xAC00;
    private const int LeadBase = 0x1100;
    private const int VowelBase = 0x1161;
    private const int TailBase = 0x11A7;
    private const int LeadCount = 19;
    private const int VowelCount = 21;
    private const int TailCount = 28;
    private const int SyllableCount = LeadCount * VowelCount * TailCount;

    private static readonly Dictionary<int, (int First, int? Second)> Decompositions = [];
    private static readonly Dictionary<(int First, int Second), int> Compositions = [];
    private static readonly Dictionary<int, byte> CombiningClasses = [];

    // Basic-plane chars whose presence means that the text may not be in form C yet; surrogates included, because the
    // characters beyond the plane are rare enough to always take the long way.
    private static readonly SearchValues<char> Suspects = LoadTables();

    public static string Normalize(string text)
    {
        var suspect = text.AsSpan().IndexOfAny(Suspects);
        if (suspect < 0)
            return text;
        var result = new StringBuilder(text.Length);
        var points = new List<int>();
        var done = 0;
        while (suspect >= 0)
        {
            // A character that is no suspect never joins what is before it, so it bounds the part that can change; the
            // one in front of a suspect may join what follows.
            var start = Math.Max(done, suspect - 1);
            var length = text.AsSpan(suspect).IndexOfAnyExcept(Suspects);
            var end = length < 0 ? text.Length : suspect + length;
            result.Append(text, done, start - done);
            AppendNormalized(text.AsSpan(start, end - start), points, result);
            done = end;
            suspect = text.AsSpan(end).IndexOfAny(Suspects) is var next and >= 0 ? end + next : -1;
        }

        return result.Append(text, done, text.Length - done).ToString();
    }

    private static void AppendNormalized(ReadOnlySpan<char> part, List<int> points, StringBuilder result)
    {
        points.Clear();
        foreach (var rune in part.EnumerateRunes())
            Decompose(rune.Value, points);
        Reorder(points);
        Compose(points);
        Span<char> chars = stackalloc char[2];
        foreach (var point in points)
            result.Append(chars[..new Rune(point).EncodeToUtf16(chars)]);
    }

    private static void Decompose(int point, List<int> points)
    {
        if (point is >= SyllableBase and < SyllableBase + SyllableCount)
        {
            var index = point - SyllableBase;
            points.Add(LeadBase + index / (VowelCount * TailCount));
            points.Add(VowelBase + index % (VowelCount * TailCount) / TailCount);
            if (index % TailCount != 0)
                points.Add(TailBase + index % TailCount);
        }
        else if (Decompositions.TryGetValue(point, out var parts))
        {
            // Recursion ends: no decomposition in the tables contains its own character, the deepest has four levels.
            Decompose(parts.First, points);
            if (parts.Second is { } second)
                Decompose(second, points);
        }
        else
        {
            points.Add(point);
        }
    }

    /// <summary>Each run of combining marks in stable order of class.</summary>
    private static void Reorder(List<int> points)
    {
        for (var start = 0; start < points.Count; start++)
        {
            if (ClassOf(points[start]) == 0)
                continue;
            var end = start;
            while (end < points.Count && ClassOf(points[end]) != 0)
                end++;
            if (end - start > 1)
            {
                var sorted = points[start..end].OrderBy(ClassOf).ToList();
                for (var i = 0; i < sorted.Count; i++)
                    points[start + i] = sorted[i];
            }

            start = end;
        }
    }

    /// <summary>Joins each character with the last starter unless something of no lower class stands between.</summary>
    private static void Compose(List<int> points)
    {
        int? starter = null;
        byte lastClass = 0;
        var count = 0;
        for (var i = 0; i < points.Count; i++)
        {
            var point = points[i];
            var own = ClassOf(point);
            var adjacent = starter == count - 1;
            if (starter is { } at && (adjacent || lastClass < own) && Join(points[at], point) is { } joined)
            {
                points[at] = joined;
                continue;
            }

            if (own == 0)
                starter = count;
            lastClass = own;
            points[count++] = point;
        }

        points.RemoveRange(count, points.Count - count);
    }

    private static int? Join(int first, int second)
    {
        if (first - LeadBase is >= 0 and < LeadCount and var lead
            && second - VowelBase is >= 0 and < VowelCount and var vowel)
            return SyllableBase + (lead * VowelCount + vowel) * TailCount;
        if (first - SyllableBase is >= 0 and < SyllableCount and var syllable && syllable % TailCount == 0
            && second - TailBase is > 0 and < TailCount and var tail)
            return SyllableBase + syllable + tail;
        return Compositions.TryGetValue((first, second), out var joined) ? joined : null;
    }

    private static byte ClassOf(int point) => CombiningClasses.GetValueOrDefault(point);

    private static SearchValues<char> LoadTables()
    {
        var suspects = new HashSet<char>();
        using var stream = typeof(UnicodeNfc).Assembly.GetManifestResourceStream("Krewe.Models.nfc.txt")!;
        using var reader = new StreamReader(stream);
        while (reader.ReadLine() is { } line)
        {
            var fields = line.Split(' ');
            switch (fields[0])
            {
                case "D":
                    Compositions[(Hex(fields[2]), Hex(fields[3]))] = Hex(fields[1]);
                    Suspect(Hex(fields[3]));
                    goto case "S";
                case "S":
                    Decompositions[Hex(fields[1])] = (Hex(fields[2]), fields.Length > 3 ? Hex(fields[3]) : null);
                    if (fields[0] == "S")
                        Suspect(Hex(fields[1]));
                    break;
                case "C":
                    for (var point = Hex(fields[1]); point <= Hex(fields[2]); point++)
                    {
                        CombiningClasses[point] = byte.Parse(fields[3], CultureInfo.InvariantCulture);
                        Suspect(point);
                    }

                    break;
            }
        }

        for (var point = VowelBase; point < TailBase + TailCount; point++)
            Suspect(point);
        for (var surrogate = 0xD800; surrogate <= 0xDFFF; surrogate++)
            Suspect(surrogate);
        return SearchValues.Create([.. suspects]);

        void Suspect(int point)
        {
            if (point <= char.MaxValue)
                suspects.Add((char)point);
        }
    }

    private static int Hex(string text) => int.Parse(text, NumberStyles.HexNumber, CultureInfo.InvariantCulture);
}
