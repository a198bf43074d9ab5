"""Countries and their capitals, asked in both directions."""

from random import Random

from deploy.nano.samples import Sample, Split, exchange, pick

_TABLE = """
Afghanistan:Kabul|Albania:Tirana|Algeria:Algiers|Andorra:Andorra la Vella|Angola:Luanda|Argentina:Buenos Aires
Armenia:Yerevan|Australia:Canberra|Austria:Vienna|Azerbaijan:Baku|the Bahamas:Nassau|Bahrain:Manama
Bangladesh:Dhaka|Barbados:Bridgetown|Belarus:Minsk|Belgium:Brussels|Belize:Belmopan|Benin:Porto-Novo
Bhutan:Thimphu|Bolivia:Sucre|Bosnia and Herzegovina:Sarajevo|Botswana:Gaborone|Brazil:Brasilia
Brunei:Bandar Seri Begawan|Bulgaria:Sofia|Burkina Faso:Ouagadougou|Burundi:Gitega|Cambodia:Phnom Penh
Cameroon:Yaounde|Canada:Ottawa|Cape Verde:Praia|the Central African Republic:Bangui|Chad:N'Djamena|Chile:Santiago
China:Beijing|Colombia:Bogota|the Comoros:Moroni|Costa Rica:San Jose|Croatia:Zagreb|Cuba:Havana|Cyprus:Nicosia
the Czech Republic:Prague|Denmark:Copenhagen|Djibouti:Djibouti City|Dominica:Roseau
the Dominican Republic:Santo Domingo|Ecuador:Quito|Egypt:Cairo|El Salvador:San Salvador|Equatorial Guinea:Malabo
Eritrea:Asmara|Estonia:Tallinn|Eswatini:Mbabane|Ethiopia:Addis Ababa|Fiji:Suva|Finland:Helsinki|France:Paris
Gabon:Libreville|the Gambia:Banjul|Georgia:Tbilisi|Germany:Berlin|Ghana:Accra|Greece:Athens|Grenada:St. George's
Guatemala:Guatemala City|Guinea:Conakry|Guinea-Bissau:Bissau|Guyana:Georgetown|Haiti:Port-au-Prince
Honduras:Tegucigalpa|Hungary:Budapest|Iceland:Reykjavik|India:New Delhi|Indonesia:Jakarta|Iran:Tehran|Iraq:Baghdad
Ireland:Dublin|Israel:Jerusalem|Italy:Rome|Ivory Coast:Yamoussoukro|Jamaica:Kingston|Japan:Tokyo|Jordan:Amman
Kazakhstan:Astana|Kenya:Nairobi|Kiribati:Tarawa|Kosovo:Pristina|Kuwait:Kuwait City|Kyrgyzstan:Bishkek|Laos:Vientiane
Latvia:Riga|Lebanon:Beirut|Lesotho:Maseru|Liberia:Monrovia|Libya:Tripoli|Liechtenstein:Vaduz|Lithuania:Vilnius
Luxembourg:Luxembourg City|Madagascar:Antananarivo|Malawi:Lilongwe|Malaysia:Kuala Lumpur|the Maldives:Male|Mali:Bamako
Malta:Valletta|the Marshall Islands:Majuro|Mauritania:Nouakchott|Mauritius:Port Louis|Mexico:Mexico City
Micronesia:Palikir|Moldova:Chisinau|Monaco:Monaco City|Mongolia:Ulaanbaatar|Montenegro:Podgorica|Morocco:Rabat
Mozambique:Maputo|Myanmar:Naypyidaw|Namibia:Windhoek|Nauru:Yaren|Nepal:Kathmandu|the Netherlands:Amsterdam
New Zealand:Wellington|Nicaragua:Managua|Niger:Niamey|Nigeria:Abuja|North Korea:Pyongyang|North Macedonia:Skopje
Norway:Oslo|Oman:Muscat|Pakistan:Islamabad|Palau:Ngerulmud|Panama:Panama City|Papua New Guinea:Port Moresby
Paraguay:Asuncion|Peru:Lima|the Philippines:Manila|Poland:Warsaw|Portugal:Lisbon|Qatar:Doha|Romania:Bucharest
Russia:Moscow|Rwanda:Kigali|Samoa:Apia|San Marino:San Marino City|Saudi Arabia:Riyadh|Senegal:Dakar|Serbia:Belgrade
the Seychelles:Victoria|Sierra Leone:Freetown|Singapore:Singapore|Slovakia:Bratislava|Slovenia:Ljubljana
the Solomon Islands:Honiara|Somalia:Mogadishu|South Africa:Pretoria|South Korea:Seoul|South Sudan:Juba|Spain:Madrid
Sri Lanka:Colombo|Sudan:Khartoum|Suriname:Paramaribo|Sweden:Stockholm|Switzerland:Bern|Syria:Damascus|Taiwan:Taipei
Tajikistan:Dushanbe|Tanzania:Dodoma|Thailand:Bangkok|East Timor:Dili|Togo:Lome|Tonga:Nuku'alofa
Trinidad and Tobago:Port of Spain|Tunisia:Tunis|Turkey:Ankara|Turkmenistan:Ashgabat|Tuvalu:Funafuti|Uganda:Kampala
Ukraine:Kyiv|the United Arab Emirates:Abu Dhabi|the United Kingdom:London|the United States:Washington|Uruguay:Montevideo
Uzbekistan:Tashkent|Vanuatu:Port Vila|the Vatican:Vatican City|Venezuela:Caracas|Vietnam:Hanoi|Yemen:Sanaa|Zambia:Lusaka
Zimbabwe:Harare
"""

CAPITALS: dict[str, str] = dict(pair.split(":", 1) for line in _TABLE.strip().splitlines() for pair in line.split("|"))
KNOWN = [
    "France",
    "Germany",
    "Italy",
    "Spain",
    "Portugal",
    "Poland",
    "Austria",
    "Belgium",
    "Greece",
    "Ireland",
    "Norway",
    "Sweden",
    "Finland",
    "Denmark",
    "Switzerland",
    "Hungary",
    "Japan",
    "China",
    "India",
    "Egypt",
    "Kenya",
    "Brazil",
    "Canada",
    "Mexico",
    "Peru",
    "Chile",
    "Cuba",
    "Turkey",
    "Russia",
    "Ukraine",
    "the Netherlands",
    "the United Kingdom",
    "the United States",
]

CAPITAL_OF = (
    "What is the capital of {country}?",
    "Which city is the capital of {country}?",
    "Name the capital of {country}.",
    "Tell me the capital of {country}.",
    "What's the capital city of {country}?",
    "Can you tell me what the capital of {country} is?",
    "What is {country}'s capital?",
    "capital of {country}",
    "The capital of {country} is which city?",
    "Do you know the capital of {country}?",
    "I want to know the capital of {country}.",
    "What's the capital of {country}?",
    "Give me the capital of {country}.",
    "What city is {country}'s capital?",
    "Could you name the capital city of {country}?",
)
COUNTRY_OF = (
    "{city} is the capital of which country?",
    "Which country has {city} as its capital?",
    "What country is {city} the capital of?",
    "Of which country is {city} the capital?",
    "What country has the capital {city}?",
    "Name the country whose capital is {city}.",
    "{city} is the capital of what country?",
    "Tell me which country has {city} as its capital.",
    "Whose capital is {city}?",
    "Which country's capital is {city}?",
)
IS_CAPITAL = (
    "Is {city} the capital of {country}?",
    "Is the capital of {country} {city}?",
    "{city} is the capital of {country}, right?",
    "True or false: {city} is the capital of {country}?",
    "Yes or no: is {city} the capital of {country}?",
    "Is it true that {city} is the capital of {country}?",
)


def any_country(rng: Random) -> str:
    """A country, the well known ones more often."""
    return rng.choice(KNOWN) if rng.random() < 0.3 else rng.choice(list(CAPITALS))


def started(text: str) -> str:
    """The text with a capital first letter, the rest as it was."""
    return text[:1].upper() + text[1:]


def capital_of(rng: Random, split: Split) -> Sample:
    """Which city governs a country."""
    country = any_country(rng)
    city = CAPITALS[country]
    question = started(pick(rng, CAPITAL_OF, split).format(country=country))
    return exchange("capitals", question, f"The capital of {country} is {city}.", city)


def country_of(rng: Random, split: Split) -> Sample:
    """Which country a city governs."""
    country = any_country(rng)
    city = CAPITALS[country]
    question = pick(rng, COUNTRY_OF, split).format(city=city)
    return exchange("capitals", question, f"{city} is the capital of {country}.", country)


def is_capital(rng: Random, split: Split) -> Sample:
    """Whether a well known city governs a well known country."""
    country = rng.choice(KNOWN)
    right = CAPITALS[country]
    city = right if rng.random() < 0.5 else CAPITALS[rng.choice([c for c in KNOWN if c != country])]
    question = pick(rng, IS_CAPITAL, split).format(city=city, country=country)
    if city == right:
        return exchange("yes or no", question, f"Yes, {city} is the capital of {country}.", "Yes")
    return exchange("yes or no", question, f"No, the capital of {country} is {right}.", "No", right)
