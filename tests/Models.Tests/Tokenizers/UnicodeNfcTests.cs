using System.Globalization;
using System.Text;

namespace Krewe.Models.Tests.Tokenizers;

public class UnicodeNfcTests
{
    [Fact]
    public void Every_case_equals_pythons_unicodedata()
    {
        var cases = File.ReadLines(TestFiles.Fixture("nfc-cases.txt")).Where(line => line[0] != '#').ToList();
        Assert.NotEmpty(cases);
        foreach (var line in cases)
        {
            var parts = line.Split(';');
            Assert.Equal(Text(parts[1]), UnicodeNfc.Normalize(Text(parts[0])));
            Assert.Equal(Text(parts[1]), UnicodeNfc.Normalize(Text(parts[1])));
        }
    }

    [Fact]
    public void Text_in_form_c_is_returned_as_it_is()
    {
        const string Text = "Grüße, мир, 你好, 한국";
        Assert.Same(Text, UnicodeNfc.Normalize(Text));
    }

    [Fact]
    public void The_frameworks_own_normalization_does_nothing_here() =>
        // The reason for UnicodeNfc. If this fails one day, InvariantGlobalization was switched off: keep UnicodeNfc,
        // so that tokens do not depend on the machine's ICU.
        Assert.Equal("e\u0301", "e\u0301".Normalize(NormalizationForm.FormC));

    [Fact]
    public void A_long_run_of_combining_marks_takes_no_quadratic_time()
    {
        var marks = string.Concat(Enumerable.Repeat("\u0315\u0300\u0323", 200_000));
        Assert.Equal(600_000, UnicodeNfc.Normalize("q" + marks).Length - 1);
    }

    private static string Text(string points) => string.Concat(
        points.Split(' ').Select(point =>
            new Rune(int.Parse(point, NumberStyles.HexNumber, CultureInfo.InvariantCulture)).ToString()));
}
