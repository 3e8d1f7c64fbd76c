import{a,b}from"./chunk-GH2VVHI2.js";import"./chunk-Q6XC4SZC.js";export{b as remember,a as showRecent};
